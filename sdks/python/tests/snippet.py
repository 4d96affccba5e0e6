"""The Python snippet of the API reference, word for word; the reference's own text has lost its indentation."""

SNIPPET = '''\
from nija_sdk import NIJAClient
# Initialize client
client = NIJAClient(api_key="your_jwt_token")
# Start trading
response = client.trading.start(
    broker="coinbase",
    paper_trading=False
)
# Get positions
positions = client.account.positions()
# Subscribe to WebSocket updates
@client.ws.on("position_update")
def on_position_update(data):
    print(f"Position update: {data}")
client.ws.connect()
'''


def snippet(token: str, *, paper: bool) -> str:
    """With a token of one's own in the place of `your_jwt_token`, and on paper where that is asked for."""
    text = SNIPPET.replace("your_jwt_token", token)
    return text.replace("paper_trading=False", "paper_trading=True") if paper else text

"""`python -m nija_common.testing.exchange --port P`: the fake exchange by hand, with one account at each venue."""

from __future__ import annotations

import argparse
import signal
import sys

from nija_common.testing.exchange import Market, Quote, run_exchange
from nija_common.testing.exchange.coinbase_private import new_cloud_key
from nija_common.testing.exchange.kraken_private import new_kraken_key


def main() -> None:
    """Prints the address and both keys, then serves until it is interrupted."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help="0 takes a free one")
    with run_exchange(port=arguments.parse_args().port) as running:
        for symbol, price in (("BTC-USD", 60_000), ("ETH-USD", 3_000), ("SOL-USD", 150)):
            running.exchange.add_market(Market(symbol), Quote(f"{price - 1}.00", f"{price + 1}.00", f"{price}.00"))
        coinbase, pem = new_cloud_key(balances={"USD": "10450.75", "BTC": "0.1"})
        kraken, secret = new_kraken_key(balances={"USD": "10450.75", "BTC": "0.1"})
        running.exchange.add_key(coinbase)
        running.exchange.add_key(kraken)
        sys.stdout.write(
            f"address\n{running.base_url}\n\ncoinbase\n{coinbase.name}\n{pem}\nkraken\n{kraken.name}\n{secret}\n"
        )
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()

"""How clients reach notifier: the socket."""

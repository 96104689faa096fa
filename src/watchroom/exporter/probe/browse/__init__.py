"""How a browser reaches a site: addresses, connections, cookies, answers."""

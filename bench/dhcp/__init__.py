"""nfdhcpd beside dnsmasq and Kea: the same guests, the same client, in turns."""

"""The address service of a VM host: DHCPv4 and router advertisements from binding files, out of NFQUEUE."""

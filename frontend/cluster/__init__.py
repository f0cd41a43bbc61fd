"""Several clusters behind one front: what each has free, where new things go, who hears and compares each."""

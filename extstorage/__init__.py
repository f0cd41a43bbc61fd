"""ExtStorage providers (man ganeti-extstorage-interface) and the OS definition of finished disks."""

"""The providers of disks beside what stands below them: reflinks, loop devices, Ceph's command, QEMU's driver."""

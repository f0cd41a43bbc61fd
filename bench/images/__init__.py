"""The image store beside qemu-img, full copies and plain files."""

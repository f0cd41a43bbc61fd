"""The interface script for KVM's taps, and the reaper that undoes what it set up."""

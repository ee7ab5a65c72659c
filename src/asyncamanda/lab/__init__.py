"""A throwaway Amanda server and its clients, as separate hosts on this machine."""

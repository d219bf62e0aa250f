Sessions are exported as CSV that no spreadsheet calculates, as packets that Wireshark dissects (pcapng), and as OCSF events.

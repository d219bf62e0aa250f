``hoopx search --kind`` takes milliseconds also when the words are in millions of things of other kinds; an index of an older version is brought over when the gateway starts.

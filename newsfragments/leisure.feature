The process that writes the index rests while others need the processors.

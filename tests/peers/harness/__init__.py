"""What the tests need around them: servers, the gateway, taps, a plain client."""

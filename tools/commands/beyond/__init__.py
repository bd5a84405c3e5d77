"""Commands that go beyond one recorder and one machine."""

"""What the tests share: servers, a database a test, the platform over HTTP, and the people who use it."""

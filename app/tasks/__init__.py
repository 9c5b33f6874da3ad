"""The engine's door: arq runs the short durable steps, one scheduler polls, one loop hands over what is due."""

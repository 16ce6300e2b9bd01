"""In the place of the engine, which is not here."""

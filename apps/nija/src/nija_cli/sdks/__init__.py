"""Writes the generated parts of both SDKs from the API document: models and methods, in Python and TypeScript."""

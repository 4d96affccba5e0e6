"""Commands for whoever runs the platform: backup and restore, sending state again, looking whether all is well."""

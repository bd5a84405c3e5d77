"""The words of the commands: sentences, tables, documents."""

"""What commands say: sentences, tables, documents."""

"""The ledgers of many rigs as tables of one DuckDB database, and questions to them in SQL."""

"""Result tables → the report's figures, tables, generated chapter and facts."""

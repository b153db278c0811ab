"""Resources by declaration: one table entry gives routes, validation, storage, integrity and OpenAPI."""

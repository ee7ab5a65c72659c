"""The fleet as pages for a browser: values, pictures, templates."""

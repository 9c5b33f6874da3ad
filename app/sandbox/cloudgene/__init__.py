"""The HTTP dialect of Cloudgene 3: routes, parsing of forms, shapes of answers and of errors."""

"""The HTTP dialect of GA4GH WES 1.1: routes, checks of what is sent, shapes of answers and of errors."""

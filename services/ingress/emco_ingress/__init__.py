"""One port in front of services that run elsewhere: routes by the one table, asks who calls where that is wanted."""

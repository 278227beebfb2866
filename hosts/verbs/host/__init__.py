"""`./panel host …`: the machines that the panel looks at."""

SUMMARY = "add, list, show and remove hosts; print the panel's key"

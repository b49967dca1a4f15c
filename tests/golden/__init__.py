"""Reports as every version of the schema wrote them; each stays readable for ever."""

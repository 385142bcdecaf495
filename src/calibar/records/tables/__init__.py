"""Files with rows and columns, whatever program wrote them, as cells that say what is not certain."""

"""TRON: from a java-tron node's HTTP answers, or a recording of them, to facts."""

"""Tables that come with the package, and what users put in their place: prices, named models."""

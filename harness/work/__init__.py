"""What jobs do: prepare, train, generate, evaluate; `specs` names every one of them."""

"""joulebatch's exporter: turns torchvision networks into checked ONNX files with a dynamic batch axis."""

"""joulebatch's runner: measures ONNX models on backends over loads, and archives reports."""

"""What is in an ONNX graph: its operators, parameters and multiply-adds."""

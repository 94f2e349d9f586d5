"""What a search comes to, in the tracker that people look at anyway: TensorBoard, trackio, Weights & Biases, MLflow."""

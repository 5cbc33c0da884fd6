"""The generative model: vocabulary, network, training, sampling, forecasting."""

// Package hf reads and writes models as Hugging Face lays them out: config.json, model.safetensors (or shards with an
// index), and PEFT adapters. Names and shapes come from model.Tensors; this package moves values between them and a
// model's storage, changing none.
//
// Deliberately absent: pickle files (they can run code), remote repositories, and code from configuration files.
package hf

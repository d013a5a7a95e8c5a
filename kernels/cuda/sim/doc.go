// Package sim is a machine with an NVIDIA card, simulated in Go.
package sim

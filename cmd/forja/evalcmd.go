package main

import "github.com/spf13/cobra"

func (a *app) evalCmd() *cobra.Command {
	return &cobra.Command{Use: "eval MODEL", Short: "perplexity, bits per byte and multiple choice", Args: cobra.ExactArgs(1), RunE: func(*cobra.Command, []string) error {
		return usagef("eval is being written")
	}}
}

package main

import "github.com/spf13/cobra"

func (a *app) showCmd() *cobra.Command {
	return &cobra.Command{Use: "show PATH", Short: "what a model, run, checkpoint, tokenizer or token set is", Args: cobra.ExactArgs(1), RunE: func(*cobra.Command, []string) error {
		return usagef("show is being written")
	}}
}

package main

import "github.com/spf13/cobra"

func (a *app) compareCmd() *cobra.Command {
	return &cobra.Command{Use: "compare RUN RUN...", Short: "recipes and results of runs side by side", Args: cobra.MinimumNArgs(2), RunE: func(*cobra.Command, []string) error {
		return usagef("compare is being written")
	}}
}

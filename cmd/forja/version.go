package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"forja/kernels/cpu/tier"
)

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		v := map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "cpu": tier.Current().String()}
		return a.print(v, func(w io.Writer) {
			fmt.Fprintf(w, "forja %s · %s %s/%s · %s\n", v["version"], v["go"], v["os"], v["arch"], v["cpu"])
		})
	}}
}

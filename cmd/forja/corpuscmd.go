package main

import "github.com/spf13/cobra"

func (a *app) corpusCmd() *cobra.Command {
	c := &cobra.Command{Use: "corpus", Short: "from pages and files to documents and token shards"}
	c.AddCommand(a.corpusBuildCmd(), a.corpusPackCmd(), a.corpusExtractCmd(), a.corpusFilterCmd(), a.corpusExplainCmd(), a.corpusDedupCmd(), a.corpusLangCmd(), a.corpusStatsCmd(), a.corpusChatCmd(), a.pdfChildCmd())
	return c
}

func (a *app) corpusBuildCmd() *cobra.Command {
	var settings []setting
	var out string
	c := &cobra.Command{Use: "build [PATH] -o DIR", Short: "documents from a file or folder (none is Go's standard library), split into train and val",
		Example: "  forja corpus build -o corpus\n  forja corpus build notes/ -o corpus --data.source text", Args: cobra.MaximumNArgs(1)}
	c.Flags().StringVarP(&out, "output", "o", "", "directory of the result")
	addKeys(c, &settings, "corpus")
	c.RunE = func(c *cobra.Command, args []string) error {
		given := append([]setting{{"data.source", "goroot"}}, settings...)
		if len(args) == 1 {
			given = append([]setting{{"data.source", "dir"}}, append(settings, setting{"data.path", args[0]})...)
		}
		return a.runSettings(c.Context(), "corpus", given, out)
	}
	return c
}

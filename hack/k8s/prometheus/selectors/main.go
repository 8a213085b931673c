// Command selectors reads PromQL expressions, one a line, and prints each metric that they ask for with the labels that they
// name of it: in its selector, and in the groupings and joins around it.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	failed := false
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		expression, err := parser.NewParser(parser.Options{}).ParseExpr(lines.Text())
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", lines.Text(), err)
			failed = true
			continue
		}
		parser.Inspect(expression, func(node parser.Node, path []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				fmt.Println(strings.Join(append([]string{selector.Name}, names(selector, path)...), " "))
			}
			return nil
		})
	}
	if failed {
		os.Exit(1)
	}
}

func names(selector *parser.VectorSelector, path []parser.Node) []string {
	seen := map[string]bool{}
	for _, matcher := range selector.LabelMatchers {
		seen[matcher.Name] = matcher.Name != labels.MetricName
	}
	for _, node := range path {
		switch around := node.(type) {
		case *parser.AggregateExpr:
			for _, name := range around.Grouping {
				seen[name] = true
			}
		case *parser.BinaryExpr:
			if around.VectorMatching != nil {
				for _, name := range around.VectorMatching.MatchingLabels {
					seen[name] = true
				}
			}
		}
	}
	var all []string
	for name, wanted := range seen {
		if wanted {
			all = append(all, name)
		}
	}
	sort.Strings(all)
	return all
}

// Renders a Helm chart without Helm: Go's own templates, sprig, and the functions that Helm adds, on
// the values as Helm sees them. It writes the documents in the order of their files, each after a
// line that names its file. What it leaves out: subcharts, hooks, the schema of the values.
//
//	render CHART RELEASE NAMESPACE [VALUES…]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

type values = map[string]interface{}

func main() {
	if len(os.Args) < 4 {
		stop(errors.New("usage: render CHART RELEASE NAMESPACE [VALUES…]"))
	}
	chart, release, namespace := os.Args[1], os.Args[2], os.Args[3]
	merged := read(filepath.Join(chart, "values.yaml"))
	for _, file := range os.Args[4:] {
		merged = merge(merged, read(file))
	}
	about := read(filepath.Join(chart, "Chart.yaml"))
	context := values{
		"Values":  merged,
		"Chart":   values{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
		"Release": values{"Name": release, "Namespace": namespace, "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1},
		"Files":   files{chart},
		"Capabilities": values{"KubeVersion": values{"Version": "v1.30.0", "Major": "1", "Minor": "30"}},
	}
	render(chart, context)
}

func render(chart string, context values) {
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(sprig.TxtFuncMap()).Funcs(helmFunctions(root))
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	stop(err)
	sort.Strings(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		stop(err)
		_, err = root.New(filepath.Base(path)).Parse(string(text))
		stop(err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		context["Template"] = values{"Name": "millrace/templates/" + name, "BasePath": "millrace/templates"}
		var out bytes.Buffer
		stop(root.ExecuteTemplate(&out, name, context))
		// Helm prints nothing for a value that is not there.
		text := strings.ReplaceAll(out.String(), "<no value>", "")
		if strings.TrimSpace(text) != "" {
			fmt.Printf("---\n# Source: %s\n%s\n", name, text)
		}
	}
}

func helmFunctions(root *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, with interface{}) (string, error) {
			var out bytes.Buffer
			err := root.ExecuteTemplate(&out, name, with)
			return out.String(), err
		},
		"tpl": func(text string, with interface{}) (string, error) {
			parsed, err := template.Must(root.Clone()).New("tpl").Parse(text)
			if err != nil {
				return "", err
			}
			var out bytes.Buffer
			err = parsed.Execute(&out, with)
			return out.String(), err
		},
		"required": func(message string, value interface{}) (interface{}, error) {
			if value == nil || value == "" {
				return nil, errors.New(message)
			}
			return value, nil
		},
		"toYaml": func(value interface{}) (string, error) {
			var out bytes.Buffer
			encoder := yaml.NewEncoder(&out)
			encoder.SetIndent(2)
			err := encoder.Encode(value)
			return strings.TrimSuffix(out.String(), "\n"), err
		},
		"fromYaml": func(text string) (values, error) {
			var value values
			err := yaml.Unmarshal([]byte(text), &value)
			return value, err
		},
		// Nothing is in the cluster before a first installation.
		"lookup": func(_, _, _, _ string) values { return values{} },
	}
}

type files struct{ chart string }

func (f files) Get(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(f.chart, name))
	return string(text), err
}

// Through JSON, as Helm reads them: every number is a float64.
func read(path string) values {
	text, err := os.ReadFile(path)
	stop(err)
	var loose interface{}
	stop(yaml.Unmarshal(text, &loose))
	document, err := json.Marshal(loose)
	stop(err)
	var value values
	stop(json.Unmarshal(document, &value))
	if value == nil {
		return values{}
	}
	return value
}

func merge(under, over values) values {
	for key, value := range over {
		below, isMap := under[key].(values)
		above, both := value.(values)
		if isMap && both {
			under[key] = merge(below, above)
		} else {
			under[key] = value
		}
	}
	return under
}

func stop(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A stand-in with the module path of a known tunnel client: it reads its configuration and stops.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Println("usage: -c FILE")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[2])
	fmt.Println(len(text), err)
}

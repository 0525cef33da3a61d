module github.com/fatedier/frp

go 1.19

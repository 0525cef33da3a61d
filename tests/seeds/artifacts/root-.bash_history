/root/.bash_history
#1700000000
ssh a@b
